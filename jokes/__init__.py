"""What stands behind `generate_joke.py`: our own jokes, how often each is told, and which made people smile."""
