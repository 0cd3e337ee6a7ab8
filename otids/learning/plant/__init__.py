"""What is known of a plant: who talks to whom, and in which words."""
