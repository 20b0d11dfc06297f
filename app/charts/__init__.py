"""Tables become figures; no Streamlit and no statistics here."""
