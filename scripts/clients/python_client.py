"""The activities surface of marketorestpython, against the simulator at argv[1]. One line of JSON for each call."""

import json
import sys
import urllib.request

from marketorestpython.client import MarketoClient

url, client_id, client_secret = sys.argv[1:4]
client = MarketoClient("123-ABC-456", client_id, client_secret, max_retry_time=20)
client.host = url  # the library knows Marketo's own hosts only

with urllib.request.urlopen(url + "/_simulator/activities") as response:
    stored = [json.loads(line) for line in response.read().decode().splitlines()]

SINCE = "2026-01-01T00:00:00Z"


def guids(activities):
    return [activity["marketoGUID"] for activity in activities]


def of_types(*types):
    return [activity["marketoGUID"] for activity in stored if activity["activityTypeId"] in types]


def expect(actual, wanted):
    if actual != wanted:
        raise AssertionError(f"expected {str(wanted)[:80]}, not {str(actual)[:80]}")


def get_activity_types():
    types = {one["id"]: one["name"] for one in client.get_activity_types()}
    expect((types[1], types[100001]), ("Visit Webpage", "Rent Kayak"))


def get_lead_activities():
    expect(guids(client.get_lead_activities(["1", "10"], sinceDatetime=SINCE, batchSize=100)), of_types(1, 10))


def get_lead_activities_yield():
    pages = client.get_lead_activities_yield(["6", "7"], sinceDatetime=SINCE, listId=1001)
    expect(guids([one for page in pages for one in page]), of_types(6, 7))


def get_lead_activities_until():
    until = "2026-01-15T00:00:00Z"
    found = client.get_lead_activities(["1"], sinceDatetime=SINCE, untilDatetime=until.replace("Z", "+00:00"))
    ahead = [one["activityDate"] for one in found]
    if not ahead or max(ahead) > until:
        raise AssertionError(f"expected dates until {until}, not {max(ahead, default=None)}")


FIELDS = ["firstName", "lastName", "email", "department"]


def get_lead_changes():
    changes = client.get_lead_changes(FIELDS, sinceDatetime=SINCE)
    names = {field["name"] for change in changes for field in change["fields"]}
    if not names or not names <= set(FIELDS):
        raise AssertionError(f"expected fields among {FIELDS}, not {names}")


def get_lead_changes_yield():
    pages = client.get_lead_changes_yield(FIELDS, sinceDatetime=SINCE)
    expect(guids([one for page in pages for one in page]), guids(client.get_lead_changes(FIELDS, sinceDatetime=SINCE)))


def get_deleted_leads():
    expect(guids(client.get_deleted_leads(sinceDatetime=SINCE)), of_types(37))


def create_custom_activity_type():
    created = client.create_custom_activity_type(
        "sailBoat", "Sail Boat", "Sails Boat", "Sailed Boat", "boat", "Boat", description="On the lake"
    )
    expect(created[0]["status"], "draft")


def describe_custom_activity_type():
    expect(client.describe_custom_activity_type("sailBoat", draft=True)[0]["primaryAttribute"]["apiName"], "boat")


def update_custom_activity_type():
    expect(client.update_custom_activity_type("sailBoat", filterName="Has Sailed")[0]["filterName"], "Has Sailed")


WIND = {"apiName": "wind", "name": "Wind", "dataType": "integer"}


def create_custom_activity_type_attribute():
    expect(client.create_custom_activity_type_attribute("sailBoat", [WIND])[0]["attributes"], [WIND])


def update_custom_activity_type_attribute():
    changed = client.update_custom_activity_type_attribute("sailBoat", [{"apiName": "wind", "name": "Wind Force"}])
    expect(changed[0]["attributes"][0]["name"], "Wind Force")


def approve_custom_activity_type():
    expect(client.approve_custom_activity_type("sailBoat")[0]["status"], "approved")


def get_custom_activity_types():
    expect([one["apiName"] for one in client.get_custom_activity_types()], ["acmeRentKayak", "sailBoat"])


def add_custom_activities():
    type_id = client.describe_custom_activity_type("sailBoat")[0]["id"]
    record = {
        "leadId": 100000,
        "activityDate": "2026-02-01T10:00:00Z",
        "activityTypeId": type_id,
        "primaryAttributeValue": "Dinghy",
        "attributes": [{"apiName": "wind", "value": 4}],
    }
    statuses = [one["status"] for one in client.add_custom_activities([record, {**record, "leadId": 7}])]
    expect(statuses, ["added", "skipped"])
    found = client.get_lead_activities([str(type_id)], sinceDatetime="2026-02-01", leadIds=["100000"])
    expect([one["primaryAttributeValue"] for one in found], ["Dinghy"])


def delete_custom_activity_type_attribute():
    changed = client.delete_custom_activity_type_attribute("sailBoat", [{"apiName": "wind"}])
    expect((changed[0]["status"], "attributes" in changed[0]), ("approved with draft", False))


def discard_custom_activity_type_draft():
    expect(client.discard_custom_activity_type_draft("sailBoat")[0]["status"], "approved")


def delete_custom_activity_type():
    expect(client.delete_custom_activity_type("sailBoat")[0]["status"], "deleted")


def describe():
    names = [field["rest"]["name"] for field in client.describe()]
    expect("department" in names, True)


def get_multiple_leads_by_filter_type():
    found = client.get_multiple_leads_by_filter_type("email", ["lead.100001@example.com"], fields="firstName,email")
    expect([one["id"] for one in found], [100001])


def get_daily_usage():
    expect(client.get_daily_usage()[0]["users"][0]["userId"], "simulator@example.com")


def get_last_7_days_usage():
    expect(len(client.get_last_7_days_usage()), 7)


def get_daily_errors():
    expect(len(client.get_daily_errors()), 1)


def get_last_7_days_errors():
    expect(len(client.get_last_7_days_errors()), 7)


SPAN = {"createdAt": {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-31T00:00:00Z"}}


def create_activities_export_job():
    client.create_activities_export_job(filters=SPAN)


for call in [
    get_activity_types,
    get_lead_activities,
    get_lead_activities_yield,
    get_lead_activities_until,
    get_lead_changes,
    get_lead_changes_yield,
    get_deleted_leads,
    create_custom_activity_type,
    describe_custom_activity_type,
    update_custom_activity_type,
    create_custom_activity_type_attribute,
    update_custom_activity_type_attribute,
    approve_custom_activity_type,
    get_custom_activity_types,
    add_custom_activities,
    delete_custom_activity_type_attribute,
    discard_custom_activity_type_draft,
    delete_custom_activity_type,
    describe,
    get_multiple_leads_by_filter_type,
    get_daily_usage,
    get_last_7_days_usage,
    get_daily_errors,
    get_last_7_days_errors,
    create_activities_export_job,
]:
    try:
        call()
        print(json.dumps({"call": call.__name__, "result": "passes"}))
    except Exception as error:
        print(json.dumps({"call": call.__name__, "result": f"fails: {error}"}))
