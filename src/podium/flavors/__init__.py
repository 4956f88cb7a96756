"""One file or folder for each ML library; the library is imported only when used."""
