"""The web page: screens drawn by the server of what serves, what is registered and how good it still is. Reads only."""
