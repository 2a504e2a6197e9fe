"""Fixtures for tests of the lab's API under the real SDK."""

from __future__ import annotations

from tests.support.lab_api import client as client
from tests.support.lab_api import lab_api as lab_api
from tests.support.lab_api import template as template
