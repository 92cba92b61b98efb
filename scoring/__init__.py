"""Score folders of any size for `inference.py`: on all cores or a cluster, resumable, with the best photos on a page."""
