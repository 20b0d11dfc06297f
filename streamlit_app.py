"""The pages of DemoLens: page config and the navigation table, nothing else.

Start it with `python -m app.serve` (adds the security headers) or, without them, `python -m streamlit run streamlit_app.py`.
"""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="DemoLens", layout="wide", initial_sidebar_state="auto")

PAGES = [
    st.Page("app/pages/explore.py", title="Explore", url_path="explore", default=True),
]

st.navigation(PAGES, position="top").run()
