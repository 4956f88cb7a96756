"""A wire between podium and PostgreSQL that can be cut or fall silent, as networks do."""

import contextlib
import re
import selectors
import socket
import threading


class Wire:
    """Owns a thread, which `close` ends.

    Args:
        folder: Where its socket is.
        address: Of a server with a socket in a folder.

    Attributes:
        address: Of the same, through the wire.
        accepted: How many connections it was asked for.
        cuts_after: A word of a client's: the server hears it, and the client never hears what came of it.
        cuts_commit_after: A word whose transaction's end is cut off like that.
    """

    def __init__(self, folder, address):
        host = re.search(r"host=([^&]+)", address)[1]
        self.address = address.replace(host, str(folder))
        self.accepted, self.cuts_after, self.cuts_commit_after = 0, None, None
        self._real = f"{host}/.s.PGSQL.5432"
        self._is_silent = self._is_cut = False
        self._doomed, self._peers = set(), {}
        self._told, self._tell = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        self._listener.listen(64)
        self._events = selectors.DefaultSelector()
        for each in (self._told, self._listener):
            self._events.register(each, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut(self):
        """Every connection ends, and none is had."""
        self._ask(b"c")

    def silence(self):
        """Everything that is said is lost, and nobody hears that."""
        self._ask(b"s")

    def mend(self):
        self._ask(b"m")

    def close(self):
        self._ask(b"q")
        self._thread.join()
        for each in (self._tell, self._told, self._listener, self._events):
            each.close()

    def _ask(self, word):
        self._tell.sendall(word)
        assert self._tell.recv(1) == word

    def _run(self):
        while True:
            for key, _ in self._events.select():
                if key.fileobj is self._told:
                    word = self._told.recv(1)
                    self._obey(word)
                    self._told.sendall(word)
                    if word == b"q":
                        return
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._peers:
                    self._pass(key.fileobj)

    def _obey(self, word):
        self._is_silent, self._is_cut = word == b"s", word == b"c"
        if word in b"cqm":
            for each in list(self._peers):
                self._drop(each)

    def _accept(self):
        client, _ = self._listener.accept()
        self.accepted += 1
        if self._is_cut:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._real)
        except OSError:  # as many wait there as may
            client.close()
            server.close()
            return
        self._peers |= {client: server, server: client}
        for each in (client, server):
            self._events.register(each, selectors.EVENT_READ, each is client)

    def _pass(self, sock):
        try:
            data = sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data or sock in self._doomed:
            self._drop(sock)
        elif not self._is_silent:
            if self.cuts_commit_after is not None and self.cuts_commit_after in data:
                self.cuts_after, self.cuts_commit_after = b"COMMIT", None
            if self.cuts_after is not None and self.cuts_after in data and self._events.get_key(sock).data:
                self._doomed.add(self._peers[sock])
                self.cuts_after = None
            with contextlib.suppress(OSError):
                self._peers[sock].sendall(data)

    def _drop(self, sock):
        if sock not in self._peers:
            return
        for each in (sock, self._peers[sock]):
            self._events.unregister(each)
            del self._peers[each]
            self._doomed.discard(each)
            each.close()
