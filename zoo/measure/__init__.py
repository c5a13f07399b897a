"""What is told of a suite before anything is adapted: how far apart domains are, and which source to take."""
