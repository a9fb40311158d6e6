"""`mt keys`, `mt targets`, `mt disks`: what an area's files say, as rows."""

from __future__ import annotations

from testarea import CONFIG, TARGET, Area


def test_keys_come_in_their_order(area: Area) -> None:
    assert area.rows("keys") == [{"v": 1, "key": "SYSTEM", "type": "TEXT"}, {"v": 1, "key": "FS", "type": "TEXT"}]
    assert [r["value"] for r in area.rows("keys", "-t", TARGET)] == ["ubuntu", "nfs"]
    assert area.mt("keys", "-t", "a").status == 3


def test_an_area_without_keys_says_so(area: Area) -> None:
    area({"megatest.config": "[setup]\n"})
    assert area.mt("keys").status == 7


def test_outside_an_area_there_is_one_line_and_a_hint(area: Area) -> None:
    result = area.mt("keys", cwd=area.home.parent)
    assert result.status == 3
    assert result.err.splitlines() == [
        f"mt: no megatest.config at or above '{area.home.parent}'",
        "mt: hint: mt init makes an area; -C DIR names one",
    ]


def test_targets_leave_out_default_and_wildcards(area: Area) -> None:
    area({"runconfigs.config": "[default]\n[u/%]\nX 1\n[u/n]\n[a/b]\n"})
    assert [r["target"] for r in area.rows("targets")] == ["a/b", "u/n"]
    assert area.ok("targets", "u%", "-f", "ids").lines() == ["u/n//"]
    assert area.mt("targets", "zzz%").status == 7


def test_targets_of_the_store_are_counted(area: Area) -> None:
    assert area.rows("targets", "--db") == [{"v": 1, "id": f"{TARGET}//", "target": TARGET, "config": True, "runs": 0}]


def test_the_disk_with_most_space_is_chosen(area: Area) -> None:
    area({"megatest.config": CONFIG + "d1 relative\nd2 /nonexist\n"})
    rows = {r["name"]: r for r in area.rows("disks")}
    assert [(n, r["chosen"], r["reason"]) for n, r in rows.items()] == [
        ("disk0", True, ""),
        ("d1", False, "not an absolute path"),
        ("d2", False, "no such directory"),
    ]
    assert rows["disk0"]["free"] > 0


def test_a_script_says_what_is_free(area: Area) -> None:
    one, two = area.home / "one", area.home / "two"
    one.mkdir()
    two.mkdir()
    area({"space": "#!/bin/sh\ncase $1 in *two) echo 20000;; *) echo 15000;; esac\n"})
    text = CONFIG.replace("[setup]", "[setup]\nfree-space-script ./space").replace("disk0", f"one {one}\ntwo {two}\n#")
    area({"megatest.config": text})
    assert [(r["name"], r["free"], r["chosen"]) for r in area.rows("disks")] == [
        ("one", 15000 * 1024, False),
        ("two", 20000 * 1024, True),
    ]
    area({"megatest.config": text.replace("[setup]", "[setup]\nminspace 30000")})
    result = area.mt("disks")
    assert result.status == 1
    assert "no valid disks found" in result.err


def test_a_test_may_have_disks_of_its_own(area: Area) -> None:
    area.test("a", more=f"[disks]\nown {area.home}\n").test("b")
    assert [r["name"] for r in area.rows("disks", "a")] == ["own"]
    assert [r["name"] for r in area.rows("disks", "b")] == ["disk0"]
    assert area.mt("disks", "nix").status == 3


def test_an_area_without_disks_lists_none(area: Area) -> None:
    area({"megatest.config": "[fields]\nA TEXT\n"})
    result = area.ok("disks")
    assert result.out == ""
    assert "tmp_run" in result.err
