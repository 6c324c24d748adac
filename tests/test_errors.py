"""Messages: one line, with the nearest name, and a batch in one go."""

import pickle

import pytest

from audioprep.errors import AudioError, AudioprepError, ConfigError, one_line_errors, summarise, unknown_name


@pytest.mark.parametrize(
    ("name", "hint"), [("esc5", "did you mean 'esc50'?"), ("zzzz", "choose one of them"), ("", "choose one of them")]
)
def test_unknown_name_lists_the_choices_and_suggests_the_nearest(name, hint):
    assert unknown_name("corpus", name, {"esc50", "demo"}) == (
        f"corpus: expected one of demo, esc50, got '{name}'; {hint}"
    )


def test_summarise_counts_all_and_shows_five():
    assert summarise("run", list("abcdefg"), "mend them") == "run: 7 failed: a; b; c; d; e; and 2 more; mend them"
    assert summarise("run", ["a."], "mend it") == "run: 1 failed: a; mend it"


def test_audio_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("truncated", "ends early")))
    assert (error.status, error.reason, str(error)) == ("truncated", "ends early", "truncated: ends early")


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_one_line_and_status_1(capsys, debug):
    with pytest.raises(SystemExit) as leaving, one_line_errors(debug=debug):
        raise ConfigError("here: expected x, got y; do z")
    err = capsys.readouterr().err
    assert leaving.value.code == 1
    assert err.endswith("error: here: expected x, got y; do z\n")
    assert ("Traceback" in err) is debug


def test_what_the_system_refuses_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as leaving, one_line_errors():
        (tmp_path / "none" / "file").write_text("")
    assert leaving.value.code == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/none/file: expected to read or write it, got No such file or directory; "
        "check path, permissions and free space\n"
    )


def test_ctrl_c_says_that_finished_work_is_kept(capsys):
    with pytest.raises(SystemExit) as leaving, one_line_errors():
        raise KeyboardInterrupt
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "stopped; what is finished is kept, run the same command again to go on\n"


def test_other_exceptions_are_not_swallowed():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError
    assert not issubclass(ZeroDivisionError, AudioprepError)
