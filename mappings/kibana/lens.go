package kibana

// A panel of the dashboard is laid out on a grid 48 wide.
type panel struct {
	id, title  string
	x, y, w, h int
	hideTitle  bool
	content    content
}

// content is what a panel shows.
type content interface {
	// panel returns the panel's type, its settings, and the objects that it names.
	panel(id string) (kind string, config body, references []reference)
}

// panelVersion is the version of the shape of a panel's settings, see Oldest.
const panelVersion = "8.9.0"

func (p panel) body() (body, []reference) {
	kind, config, references := p.content.panel(p.id)
	config["enhancements"] = body{}
	config["hidePanelTitles"] = p.hideTitle
	b := body{
		"embeddableConfig": config,
		"gridData":         body{"h": p.h, "i": p.id, "w": p.w, "x": p.x, "y": p.y},
		"panelIndex":       p.id,
		"title":            p.title,
		"type":             kind,
		"version":          panelVersion,
	}
	var named []reference
	for _, r := range references {
		if r.Type == typeSearch {
			b["panelRefName"] = r.Name
		}
		r.Name = p.id + ":" + r.Name
		named = append(named, r)
	}
	return b, named
}

// markdown is a text.
type markdown string

func (m markdown) panel(string) (string, body, []reference) {
	return "visualization", body{"savedVis": body{
		"data":        body{"aggs": []any{}, "searchSource": body{"filter": []any{}, "query": query("")}},
		"description": "",
		"id":          "",
		"params":      body{"fontSize": 12, "markdown": string(m), "openLinksInNewTab": true},
		"title":       "",
		"type":        "markdown",
		"uiState":     body{},
	}}, nil
}

// saved is a saved search.
type saved string

func (s saved) panel(id string) (string, body, []reference) {
	return "search", body{}, []reference{{ID: string(s), Name: "panel_" + id, Type: typeSearch}}
}

// lens is a chart with one layer of data.
type lens struct {
	view, kql string
	// chart is Lens's name of the kind of chart.
	chart   string
	columns []column
	// visualization says which column is shown where.
	visualization func(layer string) body
}

// column is a column of the data: a bucket or a number.
type column struct {
	id    string
	value body
}

func (l lens) panel(id string) (string, body, []reference) {
	layer := id + "-layer"
	view := reference{ID: l.view, Name: "indexpattern-datasource-layer-" + layer, Type: typeView}
	columns, order := body{}, []string{}
	for _, c := range l.columns {
		columns[c.id] = c.value
		order = append(order, c.id)
	}
	return "lens", body{"attributes": body{
		"description": "",
		"references":  []reference{view},
		"state": body{
			"adHocDataViews": body{},
			"datasourceStates": body{"formBased": body{"layers": body{layer: body{
				"columnOrder": order, "columns": columns, "incompleteColumns": body{}, "sampling": 1,
			}}}},
			"filters":            []any{},
			"internalReferences": []any{},
			"query":              query(l.kql),
			"visualization":      l.visualization(layer),
		},
		"title":             "",
		"type":              "lens",
		"visualizationType": l.chart,
	}}, []reference{view}
}

// count counts documents, those of kql where it isn't empty.
func count(id, label, kql string) column {
	c := number("count", "___records___", label)
	c["params"] = body{"emptyAsNull": false}
	if kql != "" {
		c["filter"] = query(kql)
	}
	return column{id, c}
}

// earliest and latest are times.
func earliest(id, label, field string) column { return column{id, date("min", field, label)} }
func latest(id, label, field string) column   { return column{id, date("max", field, label)} }

func number(operation, field, label string) body {
	return body{
		"customLabel": true, "dataType": "number", "isBucketed": false, "label": label,
		"operationType": operation, "scale": "ratio", "sourceField": field,
	}
}

func date(operation, field, label string) body {
	c := number(operation, field, label)
	c["dataType"] = "date"
	c["params"] = body{"emptyAsNull": true}
	return c
}

// terms is a bucket for each of the size most frequent values, by the column by.
// Those without a value are a bucket too: nothing is left out silently.
func terms(id, label, field, by string) column {
	return column{id, body{
		"customLabel": true, "dataType": "string", "isBucketed": true, "label": label,
		"operationType": "terms", "scale": "ordinal", "sourceField": field,
		"params": body{
			"size":           termsSize,
			"orderBy":        body{"columnId": by, "type": "column"},
			"orderDirection": "desc",
			"missingBucket":  true,
			"otherBucket":    true,
			"parentFormat":   body{"id": "terms"},
			"include":        []any{}, "includeIsRegex": false,
			"exclude": []any{}, "excludeIsRegex": false,
		},
	}}
}

// termsSize is above the number of source types, states and priorities that there are.
const termsSize = 25

// overTime is a bucket for each span of time.
func overTime(id, field string) column {
	return column{id, body{
		"customLabel": true, "dataType": "date", "isBucketed": true, "label": "Time",
		"operationType": "date_histogram", "scale": "interval", "sourceField": field,
		"params": body{"dropPartials": false, "includeEmptyRows": true, "interval": "auto"},
	}}
}

// metric is one number, or a time.
func metric(view, kql string, value column) lens {
	return lens{view: view, kql: kql, chart: "lnsMetric", columns: []column{value}, visualization: func(layer string) body {
		return body{"layerId": layer, "layerType": "data", "metricAccessor": value.id}
	}}
}

// table has a row for each value of the first column.
func table(view, kql string, columns ...column) lens {
	return lens{view: view, kql: kql, chart: "lnsDatatable", columns: columns, visualization: func(layer string) body {
		var shown []any
		for _, c := range columns {
			shown = append(shown, body{"columnId": c.id, "isTransposed": false})
		}
		return body{"columns": shown, "layerId": layer, "layerType": "data"}
	}}
}

// donut has a slice for each value of the first column, as large as the second.
func donut(view, kql string, slices, size column) lens {
	return lens{view: view, kql: kql, chart: "lnsPie", columns: []column{slices, size}, visualization: func(layer string) body {
		return body{"layers": []any{body{
			"categoryDisplay": "default", "layerId": layer, "layerType": "data", "legendDisplay": "show",
			"metrics": []string{size.id}, "nestedLegend": false, "numberDisplay": "value", "primaryGroups": []string{slices.id},
		}}, "shape": "donut"}
	}}
}

// bars are stacked: a bar for each value of x, with a part for each of the series.
// Either the series are columns with a color each, or split makes them of one.
func bars(view, kql, series string, b barColumns) lens {
	columns := []column{b.x}
	layerOf := body{
		"layerType": "data", "position": "top", "seriesType": series, "showGridlines": false, "xAccessor": b.x.id,
	}
	if b.split != nil {
		columns = append(columns, *b.split)
		layerOf["splitAccessor"] = b.split.id
	}
	var shown []string
	var colors []any
	for _, s := range b.series {
		columns = append(columns, s.column)
		shown = append(shown, s.id)
		if s.color != "" {
			colors = append(colors, body{"color": s.color, "forAccessor": s.id})
		}
	}
	layerOf["accessors"] = shown
	if colors != nil {
		layerOf["yConfig"] = colors
	}
	return lens{view: view, kql: kql, chart: "lnsXY", columns: columns, visualization: func(layer string) body {
		layerOf["layerId"] = layer
		each := func(x, y bool) body { return body{"x": x, "yLeft": y, "yRight": y} }
		return body{
			"axisTitlesVisibilitySettings": each(false, false),
			"fittingFunction":              "None",
			"gridlinesVisibilitySettings":  each(false, true),
			"layers":                       []any{layerOf},
			"legend":                       body{"isVisible": true, "position": "right"},
			"preferredSeriesType":          series,
			"tickLabelsVisibilitySettings": each(true, true),
			"valueLabels":                  "hide",
		}
	}}
}

type barColumns struct {
	x      column
	split  *column
	series []colored
}

type colored struct {
	column
	color string
}
