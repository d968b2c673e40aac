"""Templates: what strangers say is text; what is missing is empty; nothing gets out of the sandbox."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.template import BadTemplateError, check, render, slack


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ name.__class__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self._TemplateReference__context }}",
        "{{ metadata.__setitem__ }}",
    ],
)
def test_nothing_of_python_is_reached(text: str) -> None:
    try:
        said = render(text, {"name": "Ada", "metadata": {}})
    except BadTemplateError:
        return
    assert said in ("", "None")


def test_what_is_put_in_is_never_read_as_a_template() -> None:
    assert render("{{ name }}", {"name": "{{ 7 * 7 }}{% raw %}"}) == "{{ 7 * 7 }}{% raw %}"


def test_what_is_missing_is_empty_at_any_depth() -> None:
    assert render("a{{ x }}b{{ x.y.z }}c{{ none }}d", {"none": None}) == "abcd"
    assert render("{{ name or phone }}", {"name": "", "phone": "+1"}) == "+1"


@given(st.text(max_size=40))
def test_slack_is_shown_every_value_and_finds_no_mark_in_it(value: str) -> None:
    said = render("*{{ value }}*", {"value": value}, slack)
    inner = said[1:-1]
    assert "<" not in inner
    assert ">" not in inner
    assert inner.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == value
    assert html.unescape(inner) == html.unescape(slack(value))


def test_a_filter_is_escaped_after_it_was_applied() -> None:
    assert render("{{ name | upper }}", {"name": "<b>"}, slack) == "&lt;B&gt;"
    assert render("{{ '<' ~ name }}", {"name": ">"}, slack) == "&lt;&gt;"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ name", "is no template, line 1"),
        ("a\n{% if x %}", "is no template, line 2"),
        ("{{ name | nosuch }}", "nosuch"),
        ("x" * 4001, "longer than 4000"),
    ],
)
def test_a_wrong_template_is_told_before_it_is_used(text: str, told: str) -> None:
    with pytest.raises(BadTemplateError, match=told):
        check(text)


@pytest.mark.parametrize(
    "text", ["{{ 1 / 0 }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ 'x' * 30000 }}", "{{ name.x() }}"]
)
def test_a_template_that_cannot_be_made_says_so(text: str) -> None:
    with pytest.raises(BadTemplateError):
        render(text, {"name": "Ada"})
