"""What learns how much is usual: features of windows, their normal, and river's estimators."""
