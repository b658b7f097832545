"""DALL·E in a web page: a trained model drawn from by plain JavaScript, in the reader's browser (`js/`)."""
