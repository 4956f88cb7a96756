"""Calling a server: `Client` and `AsyncClient`, and scoring whole files; `pip install "podium[client]"`.

with podium.client.Client("http://127.0.0.1:5000") as client:
    client.predict(frame)

Importing it imports no HTTP library, no numpy and no pandas: each is imported when it is first needed.
"""

from podium.client.asynchronous import AsyncClient
from podium.client.blocking import Client
from podium.client.calls import Answer, ServedModel
from podium.client.reports import Reported

__all__ = ["Answer", "AsyncClient", "Client", "Reported", "ServedModel"]
