"""Where cases come from: a data set, or a file of finished prompts."""

from __future__ import annotations

from core.data.dataset import Dataset
from core.prompt.imported.imported_cases import ImportedCases

CaseSource = Dataset | ImportedCases
"""Data, from which a prompt is made, or finished prompts."""
