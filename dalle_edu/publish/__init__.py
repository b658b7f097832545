"""The book as a site, and in JupyterLab."""
