"""The pages of DemoLens: page config and the navigation table, nothing else.

Start it with `python -m app.serve`, which adds the security headers that plain `streamlit run` lacks.
"""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="DemoLens", layout="wide", initial_sidebar_state="auto")

PAGES = [
    st.Page("app/pages/explore/page.py", title="Explore", url_path="explore", default=True),
    st.Page("app/pages/prompts/page.py", title="Prompts", url_path="prompts"),
    st.Page("app/pages/data/page.py", title="Data", url_path="data"),
    st.Page("app/pages/theory/page.py", title="Theory", url_path="theory"),
    st.Page("app/pages/robustness/page.py", title="Robustness", url_path="robustness"),
    st.Page("app/pages/improve/page.py", title="Improve", url_path="improve"),
    st.Page("app/pages/personalise/page.py", title="Personalise", url_path="personalise"),
]

st.navigation(PAGES, position="top").run()
