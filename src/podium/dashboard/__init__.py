"""The web page: screens drawn by the server of what serves, what is registered and how good it still is.

It reads only, unless it is told to allow changes (`changing.py`).
"""
