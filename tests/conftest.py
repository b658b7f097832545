"""What all tests share: figures are drawn without a screen."""

import matplotlib

matplotlib.use("Agg")
