"""The payload log: rows of requests with their answers, in files and as CloudEvents."""
