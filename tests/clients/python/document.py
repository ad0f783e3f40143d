"""The document of the API, as a judge of answers.

Schemas are closed before they judge: in a test, a field that is not documented is an error. For
clients they stay open, so that a new field breaks nobody.
"""

import json
from functools import cache

from jsonschema import Draft202012Validator


def closed(schema):
    """The schema with every object allowed to have no other fields than those that are named."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    return inner | {"additionalProperties": False} if "properties" in schema else inner


class Document:
    def __init__(self, text):
        self.whole = json.loads(text)
        self.components = self.whole["components"]
        #: (schema, field) of every field that an answer had.
        self.seen = set()

    def resolved(self, value):
        """What a reference refers to, with its name; anything else is itself."""
        reference = value.get("$ref")
        if reference is None:
            return None, value
        _, _, kind, name = reference.split("/")
        return name, self.components[kind][name]

    @cache
    def _validator(self, schema):
        root = {"components": {"schemas": closed(self.components["schemas"])}}
        return Draft202012Validator(root | closed(json.loads(schema)))

    def errors(self, schema, value):
        validator = self._validator(json.dumps(schema))
        return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]

    def check(self, schema, value):
        """Fails unless `value` is what `schema` says, and remembers its fields."""
        problems = self.errors(schema, value)
        assert not problems, f"{problems}\n{value}"
        self._remember(schema, value)

    def _remember(self, schema, value):
        name, schema = self.resolved(schema)
        for choice in schema.get("anyOf", []):
            if not self.errors(choice, value):
                return self._remember(choice, value)
        if isinstance(value, list):
            for item in value:
                self._remember(schema.get("items", {}), item)
        if isinstance(value, dict):
            for field, inner in value.items():
                self.seen.add((name, field))
                self._remember(schema["properties"][field], inner)

    def answers(self):
        """(schema, field) of every field that an answer may have."""
        fields, todo = set(), []
        for methods in self.whole["paths"].values():
            for operation in methods.values():
                todo += operation["responses"].values()
        while todo:
            item = todo.pop()
            if isinstance(item, list):
                todo += item
            if not isinstance(item, dict):
                continue
            name, target = self.resolved(item)
            for field in target.get("properties", {}):
                if (name, field) not in fields:
                    fields.add((name, field))
                    todo.append(target["properties"][field])
            todo += [part for key, part in target.items() if key != "properties"]
        return fields

    def judge(self, response):
        """Fails unless an answer is one that its operation is documented with."""
        path, method = response.request.url.path, response.request.method.lower()
        if path.startswith("/v1/models/"):
            path = "/v1/models/{id}"
        operations = self.whole["paths"].get(path)
        assert operations, f"{path} is not documented"
        # A method that is not documented has the refusal of one that is.
        operation = operations.get(method) or next(iter(operations.values()))
        status = str(response.status_code)
        assert status in operation["responses"], f"{status} of {path} is not documented"
        _, documented = self.resolved(operation["responses"][status])
        for header in documented.get("headers", {}):
            assert header in response.headers, f"{status} of {path} has no {header}"
        kind = response.headers["content-type"].split(";")[0]
        assert kind in documented["content"], f"{kind} of {path} is not documented"
        schema = documented["content"][kind]["schema"]
        if kind == "application/json":
            self.check(schema, response.json())
        elif kind == "text/event-stream":
            _, event = self.resolved(schema)
            for data in events(response.text):
                self.check(schema, {"data": data})
                self.check(event["properties"]["data"]["anyOf"][1]["contentSchema"], json.loads(data))
        else:
            self.check(schema, response.text)


def events(text):
    """The data of each event but the closing one."""
    assert text.endswith("data: [DONE]\n\n")
    blocks = text.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    return [block.removeprefix("data: ") for block in blocks]
