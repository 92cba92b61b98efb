"""Serving the app to many: the web server and its processes, the API, what one visitor may ask for."""
