"""Free ports: nobody is given one that another is about to listen on."""

from deploy.parts.ports import free_port


def test_no_port_is_given_twice_before_anybody_listens() -> None:
    given = [free_port("127.0.0.1") for _ in range(1_000)]
    assert len(set(given)) == len(given)


def test_ports_do_not_run_out() -> None:
    assert all(free_port("127.0.0.1") for _ in range(20_000))
