"""Tables and replicas come and go while requests run."""

from podium.transport.messages import Drain, Drained, ReplicaReleased


def test_a_published_table_switches_between_two_requests(start):
    """What is in flight stays where it is; what comes after the acknowledgement goes to the new version."""
    server = start()
    old = server.add(1)
    server.publish()
    before = server.score_soon()
    request = old.take()
    new = server.add(2, version="2", series=1)
    server.publish({"2": (100, [2])})
    new.serve()

    after = server.score()

    old.reply(request)
    assert (before.result().headers["x-podium-version"], after.headers["x-podium-version"]) == ("1", "2")


def test_a_dropped_replica_is_released_when_its_last_request_is_answered(start):
    """No new request, the old ones finish, then the socket closes."""
    server = start()
    old, new = server.add(1), server.add(2, version="2", series=1)
    server.publish()
    soon = server.score_soon()
    request = old.take()
    server.publish({"2": (100, [2])})
    new.serve()
    server.drop(1)
    assert server.score().headers["x-podium-version"] == "2"

    old.reply(request, b"late")

    assert soon.result().body == b"late"
    assert server.gateway.expect(ReplicaReleased).replica == 1
    assert old.sock.recv(1) == b""


def test_a_dropped_replica_without_requests_is_released_at_once(start):
    server = start()
    server.add(1)
    server.publish()
    server.drop(1)

    assert server.gateway.expect(ReplicaReleased).replica == 1


def test_a_dropped_replica_is_released_when_its_last_client_leaves(start):
    """A cancelled request holds nothing."""
    server = start()
    worker = server.add(1)
    server.publish()
    sock = server.connect()
    sock.sendall(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    worker.take()
    server.drop(1)
    sock.close()

    assert server.gateway.expect(ReplicaReleased).replica == 1


def test_dropping_an_unknown_replica_is_answered(start):
    server = start()
    server.drop(99)

    assert server.gateway.expect(ReplicaReleased).replica == 99


def test_a_version_without_replicas_hands_its_share_to_another(start):
    """While a version's only worker restarts, the other live version answers all."""
    server = start()
    server.add(1).serve()
    server.publish({"1": (50, [1]), "2": (50, [7])})

    versions = {server.score().headers["x-podium-version"] for _ in range(12)}

    assert versions == {"1"}


def test_messages_of_the_wrong_kind_end_the_gateway(start):
    """A supervisor that talks nonsense is as good as none: drain and exit."""
    server = start()
    server.gateway.control.send(Drained())

    assert server.gateway.wait() == 0


def test_two_drains_keep_the_nearer_limit(start):
    server = start()
    server.add(1)
    server.publish()
    soon = server.score_soon()
    server.workers[0].take()
    server.gateway.control.send(Drain(60))
    server.gateway.control.send(Drain(0.2))

    assert server.gateway.wait() == 0
    assert soon.result().status == 503
