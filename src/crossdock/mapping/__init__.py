"""Maps and expressions: one small total language, compiled to Python.

Here live the language, its functions, the reading, compiling, running, explaining, linting and testing of maps.
Nothing in here reads a clock, a file or a network; lookups and context are handed in.
"""

from crossdock.mapping.compiled import CompiledExpression, CompiledMap, MapContext, compile_expression, compile_map
from crossdock.mapping.faults import CODES, MappingError
from crossdock.mapping.functions import FUNCTIONS, Function
from crossdock.mapping.interpret import FieldTrace
from crossdock.mapping.lint import lint
from crossdock.mapping.map_tests import TestResult, run_tests
from crossdock.mapping.structure import MapSide, TestCase

__all__ = [
    "CODES", "FUNCTIONS", "CompiledExpression", "CompiledMap", "FieldTrace", "Function", "MapContext", "MapSide",
    "MappingError", "TestCase", "TestResult", "compile_expression", "compile_map", "lint", "run_tests",
]  # fmt: skip
