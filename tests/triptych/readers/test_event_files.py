"""Which reader opens what."""

import gzip

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.readers.event_files import open_events
from triptych.readers.fcs import FcsFile
from triptych.readers.tabular import CsvFile


def test_content_decides_where_the_name_does_not(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "tube.001", np.ones((3, 1), np.float32))
    assert isinstance(open_events(path), FcsFile)
    table = tmp_path / "a.csv"
    table.write_text("a\n1\n")
    assert isinstance(open_events(table), CsvFile)


def test_a_packed_recording_is_refused(tmp_path, write_fcs):
    path = tmp_path / "a.fcs.gz"
    path.write_bytes(gzip.compress(write_fcs(tmp_path / "a.fcs", np.ones((3, 1), np.float32)).read_bytes()))
    with pytest.raises(InputError, match="does not begin as an FCS file"):
        open_events(path)
