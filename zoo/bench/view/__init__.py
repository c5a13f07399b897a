"""What is shown of a run: what it will cost, how far it is, and how long is left."""
