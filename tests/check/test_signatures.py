from app.check.python.bound_functions import bound_files, bound_functions
from tests.check.planting import Planted, bound

SQL = "-- name: get_pet\nselect :id::int as id;\n-- name: idle\nselect :b::int, :a::int;\n"
ROWS = '''
@dataclass(frozen=True, slots=True)
class Named:
    """It."""

    name: "str | None"

@dataclass(frozen=True, slots=True, kw_only=True)
class Pet(Named):
    """It."""

    äge: int; id: int
    owner: Named
'''


def test_a_signature_knows_its_lines(planted: Planted) -> None:
    planted.write(SQL, bound("get_pet, id: int | None", "Pet | None", ROWS))

    (signature,) = bound_functions(planted.modules)

    assert signature.name == "people.get_pet"
    assert str(signature.place) == "people.py:23:1"
    assert (str(signature.returns.place), signature.returns.text) == ("people.py:23:55", "-> Pet | None")
    (argument,) = signature.arguments
    assert (argument.name, argument.annotation, argument.optional) == ("id", int, True)
    assert (str(argument.place), argument.text) == ("people.py:23:40", "id: int | None")


def test_fields_are_found_in_the_class_that_declares_them(planted: Planted) -> None:
    planted.write(SQL, bound("get_pet, id: int", "Pet", ROWS))

    (signature,) = bound_functions(planted.modules)

    assert [(column.name, str(column.place), column.text) for column in signature.fields([])] == [
        ("name", "people.py:14:11", "Named.name: 'str | None'"),
        ("äge", "people.py:20:10", "Pet.äge: int"),
        ("id", "people.py:20:19", "Pet.id: int"),
        ("owner.name", "people.py:14:11", "Named.name: 'str | None'"),
    ]


def test_arguments_come_in_the_order_of_the_placeholders(planted: Planted) -> None:
    planted.write(SQL, bound("idle, a: int, b: int", "None"))

    (signature,) = bound_functions(planted.modules)

    assert [argument.name for argument in signature.arguments] == ["b", "a"]


def test_a_module_owns_the_files_whose_functions_it_defines(planted: Planted) -> None:
    planted.write(SQL, bound("get_pet, id: int", "int"))
    (owner,) = planted.modules
    (queries,) = bound_files(owner)
    planted.write(SQL, "")
    (other,) = planted.modules
    vars(other)["queries"] = queries

    assert bound_files(owner) == [queries]
    assert bound_files(other) == []


NESTED = """
@dataclass(frozen=True, slots=True)
class Owner:
    id: int

@dataclass(frozen=True, slots=True)
class Pet:
    name: str
    owner: Owner | None
"""


def test_a_field_of_a_row_that_may_be_none_says_so(planted: Planted) -> None:
    planted.write(SQL, bound("get_pet, id: int", "Pet", NESTED))

    (signature,) = bound_functions(planted.modules)

    fields = signature.fields(["name", "owner.id"])
    assert [(field.name, field.optional, field.optional_row) for field in fields] == [
        ("name", False, ""),
        ("owner.id", False, "owner"),
    ]


def test_a_nested_row_that_comes_as_one_column_is_one_field(planted: Planted) -> None:
    planted.write(SQL, bound("get_pet, id: int", "Pet", NESTED))

    (signature,) = bound_functions(planted.modules)

    assert [(field.name, field.optional) for field in signature.fields(["name", "owner"])] == [
        ("name", False),
        ("owner", True),
    ]
