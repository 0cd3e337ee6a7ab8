"""otids learns what is normal in an industrial network's traffic, and says what is not."""
