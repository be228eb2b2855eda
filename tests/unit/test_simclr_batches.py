"""What a step trains on, and which pictures it takes for matches."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from omma.errors import InvalidQuery  # noqa: E402
from training.simclr.batches import Sampler  # noqa: E402
from training.simclr.distributed import Ranks  # noqa: E402
from training.simclr.pairs import Pairs, no_pairs, read_pairs  # noqa: E402

NAMES = [f"{number}.jpg" for number in range(20)]


def pairs_of(folder: Path, *lines: str, header: str = "first,second,source,weight") -> Pairs:
    file = folder / "pairs.csv"
    file.write_text("\n".join((header, *lines)) + "\n")
    return read_pairs(file, NAMES)


def test_an_epoch_sees_each_picture_once_and_the_next_in_another_order():
    sampler = Sampler(20, 5, seed=1, pairs=no_pairs(20))
    epochs = [
        np.concatenate([sampler.batch(epoch * sampler.steps + step).rows[0] for step in range(sampler.steps)])
        for epoch in range(2)
    ]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert not np.array_equal(*epochs)


def test_a_step_is_the_same_whenever_it_is_asked_for_and_another_seed_is_another_run():
    one, again = (Sampler(20, 5, seed=1, pairs=no_pairs(20)).batch(7) for _ in range(2))
    other = Sampler(20, 5, seed=2, pairs=no_pairs(20)).batch(7)
    assert np.array_equal(one.rows, again.rows) and torch.equal(one.uniforms, again.uniforms)
    assert not torch.equal(one.uniforms, other.uniforms)
    assert not torch.equal(one.uniforms[0], one.uniforms[1])


def test_ranks_share_out_the_batch():
    batch = Sampler(20, 6, seed=1, pairs=no_pairs(20)).batch(0)
    ranks = [Ranks(rank, 2, torch.device("cpu")) for rank in range(2)]
    shares = [batch.local(rank) for rank in ranks]
    assert np.array_equal(np.concatenate([share.rows for share in shares], axis=1), batch.rows)
    assert torch.equal(torch.cat([share.uniforms for share in shares], dim=1), batch.uniforms)
    assert np.array_equal(batch.by_rank(ranks[0]), np.concatenate([share.rows.reshape(-1) for share in shares]))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_so_many_of_those_that_have_partners_meet_one(tmp_path: Path, share: float):
    pairs = pairs_of(tmp_path, *(f"{one}.jpg,{one + 10}.jpg,label," for one in range(5)))
    sampler = Sampler(20, 20, 0, pairs, share)
    met = []
    for step in range(200):
        first, second = sampler.batch(step).rows
        own = first == second
        assert np.all(np.abs(first - second)[~own] == 10)
        assert np.all(own[np.isin(first % 10, range(5, 10))])
        met.append(np.mean(~own[np.isin(first % 10, range(5))]))
    assert np.mean(met) == pytest.approx(share, abs=0.03)


def test_heavier_pairs_are_drawn_more_often(tmp_path: Path):
    pairs = pairs_of(tmp_path, "3.jpg,4.jpg,click,3", "5.jpg,3.jpg,click,1", "0.jpg,1.jpg,label,")
    drawn = [pairs.partner(3, uniform) for uniform in np.linspace(0, 1, 1001)]
    assert drawn.count(4) == pytest.approx(750, abs=2) and drawn.count(5) == pytest.approx(251, abs=2)
    assert pairs.partner(5, 0.3) == 3 and pairs.partner(9, 0.3) is None
    assert pairs.counts == {"click": 2, "label": 1}


def test_what_must_be_told_apart_meets_in_a_batch_and_is_no_kin(tmp_path: Path):
    pairs = pairs_of(tmp_path, "0.jpg,1.jpg,apart,", "0.jpg,2.jpg,feedback,")
    sampler = Sampler(20, 5, 0, pairs, 1.0)
    for step in range(40):
        rows = sampler.batch(step).rows[0].tolist()
        assert np.array_equal(rows, sampler.batch(step).rows[0])
        for one, other in ((0, 1), (1, 0)):
            place = rows.index(one) if one in rows else None
            assert place is None or other in rows, "each of the two brings the other with it"
    assert pairs.opposite(0, 0.99) == 1 and pairs.opposite(2, 0.0) is None
    assert not pairs.kin(np.array([0]), np.array([1]))[0, 0] and pairs.kin(np.array([0]), np.array([2]))[0, 0]
    assert pairs.counts == {"apart": 1, "feedback": 1}


def test_pictures_that_are_not_trained_on_pair_with_nothing(tmp_path: Path):
    pairs = pairs_of(tmp_path, "held-out.jpg,1.jpg,label,", "2.jpg,2.jpg,label,", "1.jpg,2.jpg,label,")
    assert pairs.left_out == 2 and pairs.partner(1, 0.9) == 2


def test_kin_are_the_same_picture_and_known_partners(tmp_path: Path):
    pairs = pairs_of(tmp_path, "1.jpg,2.jpg,label,", "2.jpg,3.jpg,click,")
    kin = pairs.kin(np.array([1, 2, 7]), np.array([1, 2, 3, 7, 7]))
    assert kin.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    "line", ["1.jpg,2.jpg,guess,1", "1.jpg,2.jpg,click,0", "1.jpg,2.jpg,click,nan", "1.jpg,2.jpg,click,much", "1.jpg"]
)
def test_a_file_that_says_nonsense_is_refused(tmp_path: Path, line: str):
    with pytest.raises(InvalidQuery) as error:
        pairs_of(tmp_path, line)
    assert error.value.field == "pairs"


def test_a_file_with_other_columns_is_refused(tmp_path: Path):
    with pytest.raises(InvalidQuery, match="first,second,source"):
        pairs_of(tmp_path, "1.jpg,2.jpg", header="a,b")
