"""What `--template` names becomes the hash under which the template is stored."""

from __future__ import annotations

from core.prompt.stored_templates import stored_template, template_taken_in


def with_template(choices: dict[str, object]) -> dict[str, object]:
    """The choices with the hash of the template's file, and with its prompt family where they name none.

    Raises `PromptError` for what is no template, `MaterialError` where it cannot be stored.
    """
    name = choices.get("template")
    if not isinstance(name, str):
        return choices
    content_hash = template_taken_in(name)
    return {"family": stored_template(content_hash).family} | choices | {"template": content_hash}
