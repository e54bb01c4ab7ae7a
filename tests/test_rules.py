"""The rules by which lines are taken, flagged or left out."""

import pytest

from crcrank.chem.formula import parse_formula
from crcrank.chem.rules import GASES, METALS, judge, kind_of, rule_table
from crcrank.config import RuleSettings, load_config

RULES = load_config().ingest.rules
NO_RULES = RuleSettings(experimental_only=False, round_within=0, deuterium_as_hydrogen=True, expand_parts=True, exclude=())


def with_rules(**values) -> RuleSettings:
    return NO_RULES.model_copy(update=values)


@pytest.mark.parametrize(
    ("text", "rules", "reason", "flag"),
    [
        ("Fe", {"exclude": ("elements",)}, "an element, not a compound", "element"),
        ("O2", {"exclude": ("elements",)}, "an element, not a compound", "element"),
        ("SF6", {"exclude": ("gases",)}, "a molecular gas", "gas"),
        ("N2O4", {"exclude": ("gases",)}, "a molecular gas", "gas"),
        ("Ni Al", {"exclude": ("alloys",)}, "an alloy, metals only", "alloy"),
        ("CH4", {"exclude": ("organics",)}, "organic, carbon and hydrogen", "organic"),
        ("Cu(HCO2)2·2H2O", {"exclude": ("organics",)}, "organic, carbon and hydrogen", "organic"),
        ("LiOD", {"deuterium_as_hydrogen": False}, "deuterium or tritium", "deuterium"),
        ("CuSO4·5H2O", {"expand_parts": False}, "parts joined by a dot (a hydrate or an adduct)", "parts"),
    ],
)
def test_each_rule_can_be_switched(text, rules, reason, flag):
    switched = judge(text, with_rules(**rules))
    assert (switched.composition, switched.reason) == (None, reason)
    off = judge(text, NO_RULES)
    assert off.reason is None
    assert off.composition is not None
    assert flag in switched.flags
    assert flag in off.flags


def test_only_what_is_named_is_excluded():
    rules = with_rules(exclude=("gases", "organics"))
    assert judge("NiAl", rules).composition == parse_formula("NiAl")
    assert judge("Fe", rules).composition.formula == "Fe"


def test_theoretical_structures_are_a_switch():
    assert judge("BaTiO3", with_rules(experimental_only=True), is_theoretical=True) == (None, "theoretical, not observed", ("theoretical",))
    assert judge("BaTiO3", NO_RULES, is_theoretical=True) == (parse_formula("BaTiO3"), None, ("theoretical",))
    assert judge("BaTiO3", with_rules(experimental_only=True)) == (parse_formula("BaTiO3"), None, ())


def test_disorder_is_rejected_or_rounded():
    assert judge("Li0.98CoO2", NO_RULES) == (None, "fractional amounts (disorder)", ("disorder",))
    assert judge("Li0.98CoO2", with_rules(round_within=0.05)) == (parse_formula("LiCoO2"), None, ("rounded",))
    assert judge("(Mg,Fe)O", with_rules(round_within=0.05)) == (None, "elements that share a site (disorder)", ("disorder",))
    assert judge("MgFeO2", NO_RULES, is_disordered=True) == (None, "disordered structure", ("disorder",))


def test_what_cannot_be_read_touches_no_rule():
    assert judge("Xx2O3", RULES) == (None, "unknown element 'Xx'", ())


def test_the_packaged_rules_leave_out_all_kinds():
    assert set(RULES.exclude) == {"elements", "gases", "alloys", "organics"}
    assert (RULES.experimental_only, RULES.round_within) == (True, 0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("GaAs", None),  # As is a metalloid
        ("Mg2Si", None),
        ("TiC", None),
        ("LaNi5", "alloys"),
        ("LaNi5H6", None),
        ("NaHCO3", "organics"),  # a formula does not tell a hydrogencarbonate from an organic
        ("CaCO3", None),
        ("K4Fe(CN)6", None),
        ("CO2", "gases"),
        ("SiO2", None),
        ("H2O", None),
        ("Xe", "elements"),
    ],
)
def test_kinds(text, kind):
    elements = judge(text, NO_RULES).composition
    assert kind_of(elements) == kind


def test_gases_are_written_as_formulas():
    assert [formula for formula in sorted(GASES) if parse_formula(formula).formula != formula] == []
    assert all(kind_of(parse_formula(formula)) == "gases" for formula in GASES)


def test_metals_are_pymatgens_but_for_metalloids():
    pymatgen = pytest.importorskip("pymatgen.core")
    theirs = {e.symbol for e in pymatgen.Element if e.is_metal and e.Z <= 103}
    assert theirs | {"Po"} == METALS


def test_the_table_says_what_each_rule_did():
    rows = {row.rule: row for row in rule_table(RULES, {"alloy": 3, "parts": 2})}
    assert (rows["exclude alloys"].n_lines, rows["exclude alloys"].outcome) == (3, "rejected")
    assert (rows["expand_parts"].n_lines, rows["expand_parts"].outcome) == (2, "parts added up")
    off = {row.rule: (row.setting, row.outcome) for row in rule_table(with_rules(expand_parts=False), {})}
    assert off["exclude alloys"] == ("no", "kept, flagged")
    assert off["expand_parts"] == ("no", "rejected")
    assert off["experimental_only"] == ("no", "kept, flagged")
    assert off["round_within"] == ("0", "taken as whole numbers, flagged")
