"""Who is let in: the counts are those of a model, whoever comes and leaves, in whatever order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hftp.admission import Admission, origin
from hftp.limits import Limits

_IPV4 = ["198.18.1.1", "::ffff:198.18.1.1", "198.18.1.2"]
_IPV6 = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
_ADDRESSES = [*_IPV4, *_IPV6]


@given(
    clients=st.integers(1, 8),
    share=st.none() | st.integers(1, 8),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 31)), max_size=200),
)
def test_admission_counts_who_is_there(
    clients: int, share: int | None, steps: list[tuple[bool, int]]
) -> None:
    admission = Admission(Limits(clients=clients, clients_by_address=share))
    most_by_origin = share or max(1, clients - clients // 10)
    present: list[bytes | str] = []
    for comes, which in steps:
        if comes and not admission.full:
            whom = origin(_ADDRESSES[which % len(_ADDRESSES)])
            is_let_in = admission.enter(whom)
            assert is_let_in == (Counter(present)[whom] < most_by_origin)
            if is_let_in:
                present.append(whom)
        elif not comes and present:
            admission.leave(present.pop(which % len(present)))
        assert admission.count == len(present) <= clients
        assert admission.full == (len(present) == clients)
    for whom in present:
        admission.leave(whom)
    assert admission.count == 0
    assert all(admission.enter(whom) for whom in dict.fromkeys(present))  # nothing of the past counts


def test_one_client_by_either_family_is_one_origin() -> None:
    assert origin(_IPV4[0]) == origin(_IPV4[1]) != origin(_IPV4[2])
    assert origin(_IPV6[0]) == origin(_IPV6[1]) != origin(_IPV6[2])
