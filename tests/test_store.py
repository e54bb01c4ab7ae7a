"""What an artifact's provenance says of its inputs, and who may write an output."""

import fcntl
import os

import pytest

from crcrank.artifacts.store import hold_output, sha256_of


def test_the_digest_of_a_folder_is_that_of_all_its_files_but_hidden_ones(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.cif").write_text("a")
    before = sha256_of(tmp_path)
    (tmp_path / ".git").mkdir()
    for hidden in (tmp_path / ".git" / "index", tmp_path / "inner" / ".a.cif.swp"):
        hidden.write_text("b")
        assert sha256_of(tmp_path) == before
    (tmp_path / "inner" / "a.cif").rename(tmp_path / "inner" / "b.cif")
    renamed = sha256_of(tmp_path)
    (tmp_path / "inner" / "b.cif").write_text("c")
    assert len({before, renamed, sha256_of(tmp_path)}) == 3


@pytest.mark.parametrize("is_made_anew", [True, False])
def test_a_lock_that_its_holder_removed_meanwhile_locks_nothing(tmp_path, monkeypatch, is_made_anew):
    """Between our opening of a lock file and our locking it, its holder ends, and another run may hold a new one."""
    lock_path, flock, calls = tmp_path / ".out.parquet.lock", fcntl.flock, []

    def late(lock, how):
        if not calls:
            lock_path.unlink()
            if is_made_anew:
                lock_path.touch()
        flock(lock, how)
        calls.append(os.fstat(lock.fileno()).st_ino)

    monkeypatch.setattr("crcrank.artifacts.store.fcntl.flock", late)
    with hold_output(tmp_path / "out.parquet", overwrite=False):
        assert len(calls) == 2
        assert calls[-1] == lock_path.stat().st_ino
    assert not lock_path.exists()
