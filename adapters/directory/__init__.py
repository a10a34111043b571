"""Where a hospital's FHIR server is: the endpoint lists that vendors publish, read and searched. Pure; nothing is fetched.

Certified vendors publish the service base URLs of their customers (45 CFR 170.404(b)(2)), as FHIR Bundles of Endpoint and
Organization, lately as SMART user-access brands, or as plain JSON rows.
"""

from adapters.directory.lists import Endpoint, EndpointList, ListError, read_list
from adapters.directory.match import Hit, find
from adapters.directory.site import site_file

__all__ = ["Endpoint", "EndpointList", "Hit", "ListError", "find", "read_list", "site_file"]
