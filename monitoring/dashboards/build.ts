import {
  GraphDrawStyle,
  StackingConfigBuilder,
  StackingMode,
  VisibilityMode,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Dashboard, Panel } from './types.ts';

const datasource = { type: 'prometheus', uid: '$datasource' };
/** The width of a panel, of the 24 columns that a dashboard has. */
const panelWidth = 8;

/** Returns the JSON of a dashboard as Grafana imports it. */
export function dashboardFile({ name, title, description, rows }: Dashboard): string {
  const builder = new DashboardBuilder(`Penstock: ${title}`)
    .uid(`penstock-${name}`)
    .description(description)
    .tags(['penstock'])
    .timezone('browser')
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .readonly()
    .link(
      new DashboardLinkBuilder('Penstock')
        .type(DashboardLinkType.Dashboards)
        .tags(['penstock'])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(variable('cluster', 'Cluster', 'penstock_build_info', 'cluster').includeAll(true).allValue('.*'))
    .withVariable(variable('namespace', 'Namespace', 'penstock_build_info', 'namespace'))
    .withVariable(variable('job', 'Job', 'penstock_build_info{namespace="$namespace"}', 'job'));
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel.single ? stat(panel) : timeSeries(panel));
  }
  return `${JSON.stringify(builder.build(), undefined, 2)}\n`;
}

function variable(name: string, label: string, series: string, of: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource)
    .query({ query: `label_values(${series}, ${of})`, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc);
}

function timeSeries({ title, description, unit, queries, stacked }: Panel): TimeSeriesBuilder {
  const panel = new TimeSeriesBuilder()
    .title(title)
    .description(description)
    .datasource(datasource)
    .height(8)
    .span(panelWidth)
    .unit(unit)
    .min(0)
    .drawStyle(GraphDrawStyle.Line)
    .fillOpacity(stacked ? 30 : 5)
    .showPoints(VisibilityMode.Never);
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  return panel.targets(targetsOf(queries));
}

function stat({ title, description, unit, queries }: Panel): StatBuilder {
  return new StatBuilder()
    .title(title)
    .description(description)
    .datasource(datasource)
    .height(8)
    .span(panelWidth)
    .unit(unit)
    .targets(targetsOf(queries));
}

function targetsOf(queries: Panel['queries']): DataqueryBuilder[] {
  return queries.map(({ expression, legend }, index) =>
    new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index))
      .datasource(datasource)
      .expr(expression)
      .legendFormat(legend)
      .range(),
  );
}
