"""GetResources, GetTagKeys, GetTagValues."""

from collections.abc import Callable, Iterable
from typing import Any

from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.tagging.parts import Parts, Place, Request, Response, invalid, place_of
from opentrail.services.tagging.tagged import (
    RESOURCES_PER_PAGE_MAX,
    TAGS_PER_PAGE,
    Tagged,
    Wanted,
    page,
    service_in,
)

_FILTERS = ("TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "TagsPerPage", "PaginationToken")


class ReadingOperations:
    """The operations that show tags; a part of ``TaggingService``."""

    parts: Parts

    @operation("GetResources")
    def get_resources(self, call: Call, request: Request) -> Response:
        """The tagged resources that a request's filters, or its ARNs, mean."""
        with_compliance = bool(request.get("IncludeComplianceDetails"))
        if request.get("ExcludeCompliantResources") and not with_compliance:
            raise invalid("ExcludeCompliantResources takes IncludeComplianceDetails")
        if request.get("ExcludeCompliantResources"):
            return {"ResourceTagMappingList": [], "PaginationToken": ""}  # without tag policies everything complies
        if "ResourceARNList" in request:
            found, token = self._by_arn(call, request), ""
        else:
            found, token = self._by_filters(call, request)
        if with_compliance:
            found = [{**one, "ComplianceDetails": {"ComplianceStatus": True}} for one in found]
        return {"ResourceTagMappingList": found, "PaginationToken": token}

    @operation("GetTagKeys")
    def get_tag_keys(self, call: Call, request: Request) -> Response:
        """Every key that some tag has."""
        return self._texts(call, request, "GetTagKeys", "TagKeys", lambda resource: resource.tags)

    @operation("GetTagValues")
    def get_tag_values(self, call: Call, request: Request) -> Response:
        """Every value that the tags of one key have."""
        key = request["Key"]

        def values(resource: Tagged) -> Iterable[str]:
            return [resource.tags[key]] if key in resource.tags else []

        return self._texts(call, request, "GetTagValues", "TagValues", values)

    def _by_arn(self, call: Call, request: Request) -> list[Response]:
        if any(member in request for member in _FILTERS):
            raise invalid("ResourceARNList goes with neither filters nor pages")
        asked = frozenset(request["ResourceARNList"])
        found = [_shown(one) for one in self.parts.resources(call) if one.arn in asked]
        foreign = sorted(arn for arn in asked if service_in(arn) not in self.parts.own)
        if foreign and self.parts.elsewhere.is_there():
            answer = self.parts.elsewhere.read("GetResources", call, {"ResourceARNList": foreign})
            found += answer.get("ResourceTagMappingList", [])
        return found

    def _by_filters(self, call: Call, request: Request) -> tuple[list[Response], str]:
        size = request.get("ResourcesPerPage", RESOURCES_PER_PAGE_MAX)
        tags_per_page = request.get("TagsPerPage")
        if not 1 <= size <= RESOURCES_PER_PAGE_MAX:
            raise invalid(f"ResourcesPerPage must be between 1 and {RESOURCES_PER_PAGE_MAX}")
        if tags_per_page is not None and tags_per_page not in TAGS_PER_PAGE:
            raise invalid("TagsPerPage must be 100, 200, 300, 400 or 500")
        place, wanted = place_of(request), _wanted(request)
        goes_on = wanted.reaches(self.parts.own) and self.parts.elsewhere.is_there()
        if place.is_ours:
            resources = filter(wanted.takes, self.parts.resources(call))
            shown, last = page(resources, place.after, size=size, tags_per_page=tags_per_page)
            following = Place(after=last) if last is not None else Place(is_ours=False) if goes_on else None
            if shown or following is None or following.is_ours:
                return [_shown(one) for one in shown], following.token() if following else ""
            place = following
        if not goes_on:
            return [], ""
        asked = {member: request[member] for member in _FILTERS if member in request} | {"PaginationToken": place.after}
        answer = self.parts.elsewhere.read("GetResources", call, asked)
        found = [one for one in answer.get("ResourceTagMappingList", []) if self._is_foreign(one)]
        return found, _upstreams_token(answer)

    def _texts(
        self, call: Call, request: Request, name: str, member: str, texts_of: Callable[[Tagged], Iterable[str]]
    ) -> Response:
        """All of ours, then page by page what the upstream has besides."""
        place = place_of(request)
        ours = sorted({text for one in self.parts.resources(call) for text in texts_of(one)})
        goes_on = self.parts.elsewhere.is_there()
        if place.is_ours:
            return {member: ours, "PaginationToken": Place(is_ours=False).token() if goes_on else ""}
        if not goes_on:
            return {member: [], "PaginationToken": ""}
        answer = self.parts.elsewhere.read(name, call, {**request, "PaginationToken": place.after})
        others = [text for text in answer.get(member, []) if text not in ours]
        return {member: others, "PaginationToken": _upstreams_token(answer)}

    def _is_foreign(self, shown: Any) -> bool:
        return service_in(shown.get("ResourceARN", "")) not in self.parts.own


def _wanted(request: Request) -> Wanted:
    tags = [(one.get("Key", ""), frozenset(one.get("Values", ()))) for one in request.get("TagFilters", ())]
    return Wanted(tags, frozenset(request.get("ResourceTypeFilters", ())))


def _shown(resource: Tagged) -> Response:
    tags = [{"Key": key, "Value": value} for key, value in sorted(resource.tags.items())]
    return {"ResourceARN": resource.arn, "Tags": tags}


def _upstreams_token(answer: Response) -> str:
    token = answer.get("PaginationToken")
    return Place(is_ours=False, after=token).token() if token else ""
