"""Language timelines of the router; their file format is `espnet_peft.kaldi.timeline`."""

from espnet_peft.kaldi.timeline import Span, merge_neighbours, read_timeline, write_timeline

__all__ = ["Span", "merge_neighbours", "read_timeline", "write_timeline"]
