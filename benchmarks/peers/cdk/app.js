// Two stacks with a provider of CDK's framework: one as it is by default, one that may take an hour.
'use strict';
const path = require('node:path');
const { App, Duration, Stack, aws_lambda: lambda, custom_resources: custom } = require('aws-cdk-lib');

const app = new App({ analyticsReporting: false });
const functions = path.join(__dirname, '..', 'functions');

function provider(name, options) {
  const stack = new Stack(app, name);
  const make = (id, handler) =>
    new lambda.Function(stack, id, {
      runtime: lambda.Runtime.PYTHON_3_13,
      handler,
      timeout: Duration.minutes(1),
      code: lambda.Code.fromAsset(functions),
    });
  new custom.Provider(stack, 'Provider', {
    onEventHandler: make('OnEvent', 'cdk_functions.on_event'),
    isCompleteHandler: make('IsComplete', 'cdk_functions.is_complete'),
    ...options,
  });
}

provider('Default', {});
provider('OneHour', { totalTimeout: Duration.hours(1) });
app.synth();
