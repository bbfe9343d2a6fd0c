# Compares the resources $found by an API with the $wanted ones of deploy/observability/. Prints a line for each:
# create|update|keep|delete|foreign, id, name, body. Arguments: $found, $wanted, $service, $adopt.

# The owner: a label, or the end of the description of a resource without labels.
def mark:
  (.userLabels // .labels // {})["managed-by"]
  // (.description // "" | capture("Managed by deploy/observability.sh for (?<service>[^ ]+)\\.$").service)
  // "";

# A label where the API assigns the name, which may contain the number of the project instead of its id.
def id: .userLabels.id // (.name | split("/") | last);

# Whether the input has all values of $wanted. The API adds defaults, omits zeros and returns numbers as strings.
def has($wanted):
  . as $found
  | if ($wanted | type) == "object" then
      all($wanted | keys[]; . as $key | $found | if type == "object" then .[$key] else null end | has($wanted[$key]))
    elif ($wanted | type) == "array" then
      ($found | length) == ($wanted | length) and all(range($wanted | length); . as $n | $found[$n] | has($wanted[$n]))
    else
      ($found | tostring) == ($wanted | tostring) or ($found == null and ($wanted == 0 or $wanted == false))
    end;

($wanted[]
  | id as $id
  | (first($found[] | select(id == $id and (.userLabels.id == null or mark == $service))) // null) as $old
  # Channels that a person added to an alert remain.
  | (.notificationChannels // []) as $new
  | if .conditions then .notificationChannels = ($old.notificationChannels // [] | . + ($new - .)) else . end
  | if $old == null then ["create", $id, "-", .]
    elif ($old | mark) != $service and $adopt == "" then ["foreign", $id, ($old | mark | if . == "" then "an unknown owner" else . end), .]
    elif del(.name) as $new | $old | has($new) then ["keep", $id, $old.name, .]
    else ["update", $id, $old.name, . + ($old | {etag} | with_entries(select(.value)))]
    end),
($found[] | select(mark == $service) | id as $id | select(all($wanted[]; id != $id)) | ["delete", $id, .name, {}])
| [.[0], .[1], .[2], (.[3] | tojson)]
| join("\t")
