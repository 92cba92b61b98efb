"""What stands behind `generate_joke.py` and `joke_board.py`: our own jokes, which are told how often, and what is stored."""
