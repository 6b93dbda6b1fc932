"""Soft nearest neighbours for scikit-learn."""

from __future__ import annotations

from softkv_attention.estimators import SoftNeighborsClassifier as SoftNeighborsClassifier
from softkv_attention.estimators import SoftNeighborsRegressor as SoftNeighborsRegressor
