"""Serve the app to many: the web server, its connections and its processes."""
