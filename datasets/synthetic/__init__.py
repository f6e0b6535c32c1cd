"""Rendered street scenes with posed pedestrians: nothing to download, every picture from (seed, index) alone."""

from datasets.synthetic.export import write_citypersons_json
from datasets.synthetic.scene import render_scene
from datasets.synthetic.sheet import contact_sheet
from datasets.synthetic.splits import SyntheticPedestrians
from datasets.synthetic.video import render_video

__all__ = ["SyntheticPedestrians", "contact_sheet", "render_scene", "render_video", "write_citypersons_json"]
