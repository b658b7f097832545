"""What a trained model can do, measured: figures, copies of training pictures, and the report."""
