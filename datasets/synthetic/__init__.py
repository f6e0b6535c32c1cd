"""Rendered street scenes with posed pedestrians: nothing to download, every picture from (seed, index) alone."""

from upright.datasets.synthetic.export import write_citypersons_json
from upright.datasets.synthetic.scene import render_scene
from upright.datasets.synthetic.sheet import contact_sheet
from upright.datasets.synthetic.splits import SyntheticPedestrians
from upright.datasets.synthetic.video import render_video

__all__ = ["SyntheticPedestrians", "contact_sheet", "render_scene", "render_video", "write_citypersons_json"]
