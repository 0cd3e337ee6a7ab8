"""The asset inventory: which devices there are, what they are called, and what they do."""

from otids.assets.asset import Asset, Fact, Mac
from otids.assets.inventory import Inventory
from otids.assets.listed import AssetList, Listed

__all__ = ["Asset", "AssetList", "Fact", "Inventory", "Listed", "Mac"]
