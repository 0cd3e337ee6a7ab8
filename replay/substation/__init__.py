"""A substation that publishes: GOOSE and Sampled Values."""
