"""Jokes: from the service and our own, how often each is told, and which made people smile."""
